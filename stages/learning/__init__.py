"""What inversion and adaptation share: which tokens learn, their groups, noise draws, losses."""
