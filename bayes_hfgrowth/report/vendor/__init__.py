"""Third-party script that goes into every report, unchanged, with its licence and its digest."""
