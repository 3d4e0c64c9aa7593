// example_pkg.ddot: the dot product of two vectors, computed by the BLAS that the wheel was built with.
//
// Anything that offers the buffer protocol (array.array, memoryview, numpy.ndarray, …) and holds native doubles is
// read where it lies, whatever its stride: BLAS takes a stride. Everything else is converted item by item first.

#include <cblas.h>
#include <pybind11/pybind11.h>

#include <climits>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

namespace py = pybind11;

namespace {

// What cblas_ddot wants to know of one vector. `owner` keeps the memory alive and still.
struct Vector {
    const double *lowest = nullptr;  // the lowest address, which is the *last* item if `increment` is negative
    py::ssize_t length = 0;
    int increment = 1;
    std::shared_ptr<void> owner;
};

constexpr bool little_endian = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;

bool is_native_double(const std::string &format) {
    return format == "d" || format == "@d" || format == "=d" || format == (little_endian ? "<d" : ">d");
}

// Formats of the struct module whose items are real numbers that a double can stand for.
bool is_real_number(const std::string &format) {
    const bool has_order = !format.empty() && std::strchr("@=<>!", format.front()) != nullptr;
    const std::string kind = format.substr(has_order ? 1 : 0);
    return kind.size() == 1 && std::strchr("bBhHiIlLqQnNefd", kind.front()) != nullptr;
}

std::string type_name(py::handle object) { return Py_TYPE(object.ptr())->tp_name; }

void check_length(py::ssize_t length, const char *name) {
    if (length > INT_MAX) {
        throw py::value_error(std::string(name) + " has " + std::to_string(length) + " items; BLAS counts up to " +
                              std::to_string(INT_MAX));
    }
}

Vector copied(py::handle object, const char *name) {
    // A tuple of its own: an item's __float__ may change the list that it came from.
    auto items = py::reinterpret_steal<py::tuple>(PySequence_Tuple(object.ptr()));
    if (!items) {
        throw py::error_already_set();
    }
    check_length(static_cast<py::ssize_t>(items.size()), name);
    auto values = std::make_shared<std::vector<double>>();
    values->reserve(items.size());
    for (py::handle item : items) {
        const double value = PyFloat_AsDouble(item.ptr());
        if (value == -1.0 && PyErr_Occurred() != nullptr) {
            py::error_already_set cause;
            if (!cause.matches(PyExc_TypeError)) {
                throw cause;
            }
            const auto message = std::string(name) + "[" + std::to_string(values->size()) +
                                 "] must be a real number, not " + type_name(item);
            py::raise_from(cause, PyExc_TypeError, message.c_str());
            throw py::error_already_set();
        }
        values->push_back(value);
    }
    return {values->data(), static_cast<py::ssize_t>(values->size()), 1, values};
}

py::buffer_info request(const py::buffer &object, const char *name) {
    try {
        return object.request();
    } catch (py::error_already_set &cause) {  // an exporter that can't describe its items, such as NumPy's dates
        py::raise_from(cause, PyExc_TypeError,
                       (std::string(name) + " must hold float64 items: its buffer can't be read").c_str());
        throw py::error_already_set();
    }
}

Vector from_buffer(const py::buffer &object, const char *name) {
    auto info = std::make_shared<py::buffer_info>(request(object, name));
    if (!is_real_number(info->format)) {
        throw py::type_error(std::string(name) + " must hold float64 items, not items of format '" + info->format +
                             "'");
    }
    if (info->ndim != 1) {
        throw py::value_error(std::string(name) + " must have 1 dimension, not " + std::to_string(info->ndim));
    }
    const py::ssize_t length = info->shape[0];
    check_length(length, name);
    constexpr auto width = static_cast<py::ssize_t>(sizeof(double));
    const py::ssize_t stride = length > 1 ? info->strides[0] : width;
    const py::ssize_t increment = stride / width;
    const auto address = reinterpret_cast<std::uintptr_t>(info->ptr);
    // Not for BLAS: foreign byte order, items that are not aligned, one item repeated by a stride of 0.
    if (!is_native_double(info->format) || address % alignof(double) != 0 || stride % width != 0 || increment == 0 ||
        increment > INT_MAX || increment < -INT_MAX) {
        return copied(object, name);
    }
    const auto *first = static_cast<const double *>(info->ptr);
    const auto *lowest = increment < 0 ? first + (length - 1) * increment : first;
    return {lowest, length, static_cast<int>(increment), info};
}

Vector vector_of(py::handle object, const char *name) {
    const bool text = PyBytes_Check(object.ptr()) != 0 || PyByteArray_Check(object.ptr()) != 0 ||
                      PyUnicode_Check(object.ptr()) != 0;
    if (!text && py::isinstance<py::buffer>(object)) {
        return from_buffer(py::reinterpret_borrow<py::buffer>(object), name);
    }
    if (!text && PySequence_Check(object.ptr()) != 0) {
        return copied(object, name);
    }
    throw py::type_error(std::string(name) + " must be a sequence or a buffer of real numbers, not " +
                         type_name(object));
}

double ddot(py::handle x_object, py::handle y_object) {
    const Vector x = vector_of(x_object, "x");
    const Vector y = vector_of(y_object, "y");
    if (x.length != y.length) {
        throw py::value_error("x and y must have the same length, not " + std::to_string(x.length) + " and " +
                              std::to_string(y.length));
    }
    if (x.length == 0) {
        return 0.0;
    }
    py::gil_scoped_release unlocked;
    return cblas_ddot(static_cast<int>(x.length), x.lowest, x.increment, y.lowest, y.increment);
}

}  // namespace

PYBIND11_MODULE(ddot, module, py::mod_gil_not_used()) {
    module.doc() = "The dot product of two vectors, computed by BLAS.";
    module.def("ddot", &ddot, py::arg("x"), py::arg("y"),
               "Return the sum of x[i] * y[i].\n\n"
               "x and y are one-dimensional and equally long. Buffers of float64 (array.array, memoryview,\n"
               "numpy.ndarray) are read in place, with any stride; other real numbers are converted first.\n\n"
               "Raises TypeError for items that are not real numbers, ValueError for other shapes.");
}
