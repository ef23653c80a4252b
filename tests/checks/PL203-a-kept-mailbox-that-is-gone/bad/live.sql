DELETE FROM mailbox WHERE username = 'tom@northwind.example';
DELETE FROM alias WHERE address = 'tom@northwind.example';
