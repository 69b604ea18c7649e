"""The problems of GradBench in plain NumPy, differentiated by the engines, and a tool that GradBench can run.

GradBench (github.com/gradbench/gradbench) compares tools for automatic differentiation of many languages: a program
asks for a problem's function and derivative in messages of JSON, and the tool answers with results and times.
`python -m benchmarks.gradbench` is such a tool.  Each problem is a module: its mathematics as functions of arrays, and
`FUNCTIONS`, what GradBench asks for by name.  Nothing is computed at import.
"""
