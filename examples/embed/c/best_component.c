/* A module in C: the most likely component of every row of a table. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "fastgmm.h"

static const fastgmm_api *api;

/* best_component(c_model, X, out, workspace): X float64 (n, d), out int64 (n,), any bytes */
static PyObject *best_component(PyObject *self, PyObject *args)
{
    PyObject *object, *result = NULL;
    Py_buffer x, out, workspace;
    const fastgmm_model *model;
    size_t row, n;
    int code;

    (void)self;
    if (!PyArg_ParseTuple(args, "Oy*w*w*", &object, &x, &out, &workspace))
        return NULL;
    model = fastgmm_get_model(object); /* the arguments keep it */
    if (model != NULL) {
        row = model->n_features * sizeof(double);
        n = (size_t)x.len / row;
        if (n * row != (size_t)x.len || (size_t)out.len != n * sizeof(int64_t)) {
            PyErr_SetString(PyExc_ValueError, "X or out has another size than the model needs");
        } else {
            Py_BEGIN_ALLOW_THREADS
            code = api->component_f64(
                model, (const double *)x.buf, n, (ptrdiff_t)model->n_features,
                (int64_t *)out.buf, workspace.buf, (size_t)workspace.len);
            Py_END_ALLOW_THREADS
            if (code == FASTGMM_OK)
                result = Py_NewRef(Py_None);
            else
                PyErr_SetString(PyExc_ValueError, fastgmm_strerror(code));
        }
    }
    PyBuffer_Release(&x);
    PyBuffer_Release(&out);
    PyBuffer_Release(&workspace);
    return result;
}

static PyMethodDef methods[] = {{"best_component", best_component, METH_VARARGS, NULL},
                                {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "best_component", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_best_component(void)
{
    api = fastgmm_import();
    return api == NULL ? NULL : PyModule_Create(&module);
}
