"""Six services, one kind of loop. They know the schemas and the kit, never each other."""
