UPDATE mailbox SET quota = 2147483648 WHERE username = 'jane@northwind.example';
