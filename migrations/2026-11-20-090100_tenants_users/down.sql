DROP TABLE users;
DROP TABLE tenants;
DROP DOMAIN partner_on_signup;
