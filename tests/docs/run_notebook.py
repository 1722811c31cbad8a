"""Run a notebook in this environment: `python -m tests.docs.run_notebook NOTEBOOK RESULT`, in the folder to work in.

A program of its own, because what runs notebooks leaves its sockets to the end of the process.
"""

import os
import sys
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient


def main(stored: Path, result: Path) -> None:
    """Run it with the kernel of this interpreter and with nothing of the user's or the machine's Jupyter."""
    notebook = nbformat.read(stored, as_version=4)  # type: ignore[no-untyped-call]
    folder = Path.cwd()
    os.environ |= {"IPYTHONDIR": str(folder / ".ipython"), "JUPYTER_RUNTIME_DIR": str(folder / ".jupyter")}
    specs = KernelSpecManager(kernel_dirs=[])
    kernel = AsyncKernelManager(kernel_spec_manager=specs, kernel_name="python3")
    assert specs.get_kernel_spec("python3").argv[0] == sys.executable
    NotebookClient(notebook, km=kernel, timeout=100, resources={"metadata": {"path": str(folder)}}).execute()
    nbformat.write(notebook, result)  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
