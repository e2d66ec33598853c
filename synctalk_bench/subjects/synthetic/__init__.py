"""The built-in subject: a talking head made from code, its speech, and everything that is true about both."""
