"""Makes the example models. Each file trains one of them and reads as a tutorial; nothing here runs at serving."""
