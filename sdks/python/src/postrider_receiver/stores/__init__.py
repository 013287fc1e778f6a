"""Where an inbox and locks are kept. Each store is imported from a module of its own."""
