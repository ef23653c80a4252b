UPDATE alias SET goto = 'tom@northwind.example' WHERE address = 'info@northwind.example';
