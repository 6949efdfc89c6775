"""M steps: how parameters follow from sufficient statistics."""
