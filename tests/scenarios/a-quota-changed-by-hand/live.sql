UPDATE mailbox SET quota = 1073741824 WHERE username = 'jane@northwind.example';
UPDATE mailbox SET name = 'Thomas' WHERE username = 'tom@northwind.example';
