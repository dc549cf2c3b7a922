"""The container image: what it is made of, and what only containers of it can show."""
