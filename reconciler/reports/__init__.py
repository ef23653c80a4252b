"""What people and machines are shown, made from data at the very end: one function per format over one walk."""
