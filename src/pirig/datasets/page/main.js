overview();
gates();
lengths();
looks();
player();
numbers();
features();
nav();
document.documentElement.dataset.ready = "";
