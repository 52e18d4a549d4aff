"""fitkit: fit models described in YAML with a JAX-compiled gradient core, and report convergence with its evidence.

The package is read from the ground up: words (`types`, `errors`, `component`, `backend`), inputs (`expressions`,
`parameters`, `readers`), mathematics (`models`, `losses`), the `problem`, the `optimizers`, the acts (`minimize`,
`uncertainty`, `result`), the `reports`, the config language (`yaml_text`, `config`), and what a person starts (`run`, `cli`).
"""

__version__ = "0.1.0"
