"""The fakes: APIs that serve a world, each as its original does."""
