"""Answers from what is declared, as plain data in the form of their JSON: no live system is asked, no clock read."""
