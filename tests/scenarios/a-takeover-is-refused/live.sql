INSERT INTO alias (address, goto, domain, active) VALUES ('sales@northwind.example', 'someone@elsewhere.example', 'northwind.example', 1);
