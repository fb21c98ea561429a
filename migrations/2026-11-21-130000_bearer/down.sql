REVOKE EXECUTE ON FUNCTION portal_bearer(text, text, text, text, text) FROM portal_app;
