"""The web rooms: a browser hub, a page as numbered text, and the actions a policy may take."""
