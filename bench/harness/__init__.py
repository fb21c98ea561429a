"""The bench's parts: database, servers, queries, load, and what is made of them."""
