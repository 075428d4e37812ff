"""What every command of `scripts/bench` needs: sizes, child processes, the machine, tables, the documentation."""
