INSERT INTO alias (address, goto, domain, active) VALUES ('old@northwind.example', 'jane@northwind.example', 'northwind.example', 1);
INSERT INTO alias (address, goto, domain, active) VALUES ('leak@northwind.example', 'spy@elsewhere.example', 'northwind.example', 1);
