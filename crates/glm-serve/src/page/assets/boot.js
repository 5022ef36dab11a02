// Runs before the first paint: theme and language are set here so that the page never flashes the wrong ones.
(function () {
  'use strict';
  var root = document.documentElement;
  function saved(name) {
    try { return localStorage.getItem('glmtune.' + name); } catch (blocked) { return null; }
  }
  var theme = saved('theme');
  var dark = theme === 'dark' || (theme !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches);
  root.dataset.theme = dark ? 'dark' : 'light';
  var language = saved('language') || navigator.language || 'en';
  root.lang = /^zh/i.test(language) ? 'zh-CN' : 'en';
})();
