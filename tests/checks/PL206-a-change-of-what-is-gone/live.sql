DELETE FROM alias WHERE address = 'info@northwind.example';
