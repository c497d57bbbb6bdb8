"""What things are: frozen records and tables of facts. Nothing here reads or writes anything."""
