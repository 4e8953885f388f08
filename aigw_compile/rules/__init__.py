RULES=()
def run_data(d): return []
def run_gateway(g): return []
