"""How the bundled model is trained: its world, its lessons, its optimizer."""
