"""What sets the project up, checks it and packages it; nothing here runs while mail is served."""
