//! Tower layers that keep calls bounded: deadlines, admission, retry budgets, ejection.
