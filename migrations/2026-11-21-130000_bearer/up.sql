-- A session begins with one statement that finds out who is asking and says so: the login asks before it takes a caller's role, so it
-- may call the function itself. It tells no more than the bearer of a verified token may know of themselves.
GRANT EXECUTE ON FUNCTION portal_bearer(text, text, text, text, text) TO portal_app;
