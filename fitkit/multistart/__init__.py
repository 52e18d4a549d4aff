"""Many starts: where they are (`starts`), and which distinct minima they lead to (`minima`)."""
