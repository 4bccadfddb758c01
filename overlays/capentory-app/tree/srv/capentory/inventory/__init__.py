"""The school's inventory: who has which device, and where it is."""
