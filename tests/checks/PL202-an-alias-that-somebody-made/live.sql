INSERT INTO alias (address, goto, domain, active) VALUES ('sales@northwind.example', 'tom@northwind.example', 'northwind.example', 1);
