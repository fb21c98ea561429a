//! The keys that seal a partner's tax id and bank account, and the secrets of webhooks, before they reach the database.
//!
//! AES-256-GCM (NIST SP 800-38D) with a random 96-bit nonce. A sealed value is `version (4 bytes, big-endian) ‖ nonce (12) ‖
//! ciphertext ‖ tag (16)`; where it belongs (tenant, row, field) is authenticated with it, so that a value copied to another
//! row does not open. New values are sealed with the highest version; older versions stay to open what they sealed, until
//! `partner-portal rotate-keys` has sealed it anew.

use std::{collections::BTreeMap, fmt, str::FromStr};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use uuid::Uuid;

use crate::ids::TenantId;

const KEY_LENGTH: usize = 32;
const VERSION_LENGTH: usize = 4;

/// The field that a sealed value belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealedField {
    /// `partner_profiles.tax_id_sealed`
    TaxId,
    /// `partner_profiles.bank_account_sealed`
    BankAccount,
    /// `webhook_secrets.sealed`
    WebhookSecret,
    /// `webhook_source_secrets.sealed`
    WebhookSourceSecret,
}

impl SealedField {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::TaxId, Self::BankAccount, Self::WebhookSecret, Self::WebhookSourceSecret];

    /// Its name for an operator.
    pub fn name(self) -> &'static str {
        match self {
            Self::TaxId => "tax_id",
            Self::BankAccount => "bank_account",
            Self::WebhookSecret => "webhook_secret",
            Self::WebhookSourceSecret => "webhook_source_secret",
        }
    }

    fn context(self, tenant: TenantId, row: Uuid) -> Aad<Vec<u8>> {
        let mut context = Vec::with_capacity(33);
        context.extend_from_slice(tenant.uuid().as_bytes());
        context.extend_from_slice(row.as_bytes());
        context.push(match self {
            Self::TaxId => 1,
            Self::BankAccount => 2,
            Self::WebhookSecret => 3,
            Self::WebhookSourceSecret => 4,
        });
        Aad::from(context)
    }
}

/// Why a key setting or a sealed value cannot be used. Says nothing of keys or contents.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// The setting is not `version:base64` pairs of 32-byte keys.
    #[error("expected VERSION:KEY pairs separated by commas, each version a whole number, each key 32 bytes in base64; {0}")]
    Setting(String),
    /// The value was sealed with a key version that is not in the setting.
    #[error("the key of version {0} is not configured")]
    UnknownVersion(u32),
    /// The value was not sealed with this key for this field of this row, or has been changed.
    #[error("the sealed value does not open")]
    Corrupt,
    /// The system's random source failed.
    #[error("no random bytes could be had")]
    Random,
}

/// The keys by version. Its `Debug` shows versions alone.
#[derive(Clone)]
pub struct Keyring {
    keys: BTreeMap<u32, LessSafeKeyHolder>,
    active: u32,
}

type LessSafeKeyHolder = std::sync::Arc<LessSafeKey>;

impl Keyring {
    /// A keyring of one fresh random key, and the setting that makes it again.
    pub fn generate() -> Result<(Self, String), KeyringError> {
        let setting = Self::fresh_key(1)?;
        Ok((setting.parse()?, setting))
    }

    /// A fresh random key as the setting has it: `version:base64`.
    pub fn fresh_key(version: u32) -> Result<String, KeyringError> {
        let mut bytes = [0; KEY_LENGTH];
        rand::fill(&mut bytes).map_err(|_| KeyringError::Random)?;
        Ok(format!("{version}:{}", STANDARD.encode(bytes)))
    }

    /// The version that new values are sealed with.
    pub fn active_version(&self) -> u32 {
        self.active
    }

    /// Whether there is a key of that version.
    pub fn has(&self, version: u32) -> bool {
        self.keys.contains_key(&version)
    }

    /// The version that a value was sealed with.
    pub fn version_of(sealed: &[u8]) -> Option<u32> {
        sealed.first_chunk::<VERSION_LENGTH>().map(|v| u32::from_be_bytes(*v))
    }

    /// Seals `plain` for one field of one row, which is a partner's profile or a webhook's secret.
    pub fn seal(&self, plain: &str, field: SealedField, tenant: TenantId, row: impl Into<Uuid>) -> Result<Vec<u8>, KeyringError> {
        let key = self.keys.get(&self.active).ok_or(KeyringError::UnknownVersion(self.active))?;
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).map_err(|_| KeyringError::Random)?;
        let mut body = plain.as_bytes().to_vec();
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), field.context(tenant, row.into()), &mut body)
            .map_err(|_| KeyringError::Corrupt)?;
        let mut sealed = self.active.to_be_bytes().to_vec();
        sealed.extend_from_slice(&nonce);
        sealed.append(&mut body);
        Ok(sealed)
    }

    /// Opens what [`Keyring::seal`] made for the same field of the same row.
    pub fn open(
        &self,
        sealed: &[u8],
        field: SealedField,
        tenant: TenantId,
        row: impl Into<Uuid>,
    ) -> Result<String, KeyringError> {
        let version = Self::version_of(sealed).ok_or(KeyringError::Corrupt)?;
        let key = self.keys.get(&version).ok_or(KeyringError::UnknownVersion(version))?;
        let (nonce, body) = sealed[VERSION_LENGTH..].split_first_chunk::<NONCE_LEN>().ok_or(KeyringError::Corrupt)?;
        let mut body = body.to_vec();
        let plain = key
            .open_in_place(Nonce::assume_unique_for_key(*nonce), field.context(tenant, row.into()), &mut body)
            .map_err(|_| KeyringError::Corrupt)?;
        String::from_utf8(plain.to_vec()).map_err(|_| KeyringError::Corrupt)
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("versions", &self.keys.keys()).finish_non_exhaustive()
    }
}

impl FromStr for Keyring {
    type Err = KeyringError;

    fn from_str(setting: &str) -> Result<Self, KeyringError> {
        let mut keys = BTreeMap::new();
        for (index, pair) in setting.split(',').enumerate() {
            let wrong = |why: &str| KeyringError::Setting(format!("pair {} {why}", index + 1));
            let (version, key) = pair.trim().split_once(':').ok_or_else(|| wrong("has no colon"))?;
            let version: u32 = version.parse().map_err(|_| wrong("has no whole number before its colon"))?;
            let bytes = STANDARD.decode(key).map_err(|_| wrong("has a key that is not base64"))?;
            let key = UnboundKey::new(&AES_256_GCM, &bytes).map_err(|_| wrong("has a key that is not 32 bytes long"))?;
            if keys.insert(version, LessSafeKeyHolder::new(LessSafeKey::new(key))).is_some() {
                return Err(wrong("repeats a version"));
            }
        }
        let active =
            keys.last_key_value().map(|(version, _)| *version).ok_or_else(|| KeyringError::Setting("it is empty".into()))?;
        Ok(Self { keys, active })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::PartnerId;

    fn keys(setting: &str) -> Keyring {
        setting.parse().expect("a keyring")
    }

    fn old_and_new() -> (String, String) {
        let old = format!("1:{}", STANDARD.encode([7; 32]));
        let both = format!("{old},2:{}", STANDARD.encode([9; 32]));
        (old, both)
    }

    /// A value opens with the key that sealed it, also after a newer key has come, and new values use the newer key.
    #[test]
    fn rotation() {
        let (old, both) = old_and_new();
        let (tenant, partner) = (TenantId::new(), PartnerId::new());
        let sealed = keys(&old).seal("DE-123456789", SealedField::TaxId, tenant, partner).expect("sealed");
        let both = keys(&both);
        assert_eq!(both.open(&sealed, SealedField::TaxId, tenant, partner).as_deref(), Ok("DE-123456789"));
        let again = both.seal("DE-123456789", SealedField::TaxId, tenant, partner).expect("sealed");
        assert_eq!(Keyring::version_of(&again), Some(2));
        assert_eq!(keys(&old).open(&again, SealedField::TaxId, tenant, partner), Err(KeyringError::UnknownVersion(2)));
    }

    /// A value moved to another partner or field, or changed by one bit, does not open.
    #[test]
    fn bound_to_its_place() {
        let (old, _) = old_and_new();
        let keys = keys(&old);
        let (tenant, partner) = (TenantId::new(), PartnerId::new());
        let mut sealed = keys.seal("12345678", SealedField::TaxId, tenant, partner).expect("sealed");
        assert_eq!(keys.open(&sealed, SealedField::BankAccount, tenant, partner), Err(KeyringError::Corrupt));
        assert_eq!(keys.open(&sealed, SealedField::TaxId, tenant, PartnerId::new()), Err(KeyringError::Corrupt));
        *sealed.last_mut().expect("bytes") ^= 1;
        assert_eq!(keys.open(&sealed, SealedField::TaxId, tenant, partner), Err(KeyringError::Corrupt));
        assert_eq!(keys.open(&sealed[..3], SealedField::TaxId, tenant, partner), Err(KeyringError::Corrupt));
    }

    /// A wrong setting is refused without repeating the key.
    #[test]
    fn wrong_settings() {
        for setting in ["", "1", "x:AAAA", "1:AAAA", "1:%%%"] {
            let error = setting.parse::<Keyring>().expect_err(setting).to_string();
            assert!(!error.contains("AAAA"), "{error}");
        }
    }
}
