"""`riskflow doctor`: looks at everything that riskflow needs, and says what to do about what it finds."""
