-- Who asks what is kept of them is also given what the sign-in service has reported.
GRANT SELECT ON directory_objects TO portal_operator;
