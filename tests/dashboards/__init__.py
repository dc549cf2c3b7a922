"""Of the dashboards that ship: what they ask Prometheus for."""
