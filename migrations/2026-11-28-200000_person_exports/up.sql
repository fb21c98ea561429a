-- `exportPerson` also gives what the sign-in service has reported of somebody.
GRANT SELECT ON directory_objects TO portal_operator;
