// GraphQL Code Generator: types for the documents, the scalars as they come, and the manifest for `PORTAL_TRUSTED_MANIFEST`.
export const config = (schema, documents, output) => ({
  schema,
  documents,
  generates: { [output]: { preset: "client", presetConfig: { persistedDocuments: { hashAlgorithm: "sha256" } } } },
  config: {
    // Amounts are exact and so are strings: show them, or give them to a library for decimals; do not calculate with them as numbers.
    scalars: {
      Decimal: "string",
      CurrencyCode: "string",
      Date: "string",
      DateTime: "string",
      DateOrDateTime: "string",
      TimeZone: "string",
      EmailAddress: "string",
      Upload: "File",
    },
    enumsAsTypes: true,
    strictScalars: true,
  },
});
