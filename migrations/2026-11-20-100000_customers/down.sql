DROP TABLE partner_accounts, customers;
DROP EXTENSION btree_gist;
