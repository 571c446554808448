// Applies the chosen theme before the first paint. A classic script: modules run later.
document.documentElement.dataset.theme = localStorage.getItem("theme") ?? "";
