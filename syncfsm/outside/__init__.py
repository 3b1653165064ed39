"""The world: one HTTP request, its rate limit, time, and which words from outside may be repeated."""
