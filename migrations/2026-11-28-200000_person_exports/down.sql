REVOKE SELECT ON directory_objects FROM portal_operator;
