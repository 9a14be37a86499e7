"""The commands of `hfgrowth`, each beside the others it belongs with."""
