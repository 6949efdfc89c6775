"""Floor 2: the EM loop and the policies that it composes."""
