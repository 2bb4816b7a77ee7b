#include "templates.h"
template struct Registry<short>;
function other_next_inline() { return next_inline; }
int *other_state() { return address_of_state<int>(); }
double other_registry() {
    Registry<double> a(2.5), b(4.5);
    inline_counter += 5;
    next_inline();
    return a.scaled(2) + b.scaled(3) + Registry<double>::instances;
}
