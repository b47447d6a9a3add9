// What a dashboard's file is, by Grafana's own published types: the page, each kind of panel with its own options, and
// queries to Prometheus.
import type { AnnotationQuery, Dashboard, DashboardLink, DataQuery, RowPanel, TableFieldOptions } from '@grafana/schema';
import type { Options as StatOptions } from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type {
  FieldConfig as StateFieldConfig,
  Options as StateOptions,
} from '@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen';
import type {
  FieldConfig as HeatmapFieldConfig,
  Options as HeatmapOptions,
} from '@grafana/schema/dist/esm/raw/composable/heatmap/panelcfg/x/HeatmapPanelCfg_types.gen';
import type {
  FieldConfig as SeriesFieldConfig,
  Options as SeriesOptions,
} from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';
import type { Options as TableOptions } from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';

// In a file an enum's value is its text or number.
type Plain<T> = T extends string
  ? `${T}`
  : T extends number | boolean | null | undefined
    ? T
    : T extends (infer One)[]
      ? Plain<One>[]
      : T extends object
        ? { [Key in keyof T]: Plain<T[Key]> }
        : T;

type Page = Required<Dashboard>;
type AnyPanel = Exclude<Page['panels'][number], RowPanel>;
type Fields = NonNullable<AnyPanel['fieldConfig']>;

// The published types no longer have the queries of each data source.
interface Query extends DataQuery {
  expr: string;
  legendFormat?: string;
  instant?: boolean;
  range?: boolean;
  format?: 'time_series' | 'table' | 'heatmap';
}

// Options are left open by the page's type; each kind of panel has its own. All that people rely on is there.
interface Kind<Type extends string, Options, Custom> {
  id: number;
  type: Type;
  title: string;
  description: string;
  gridPos: NonNullable<AnyPanel['gridPos']>;
  datasource: NonNullable<AnyPanel['datasource']>;
  targets: Query[];
  options: Options;
  fieldConfig: {
    defaults: Omit<Fields['defaults'], 'custom' | 'unit' | 'noValue'> & { unit: string; noValue: string; custom?: Custom };
    overrides: Fields['overrides'];
  };
  links?: Required<Pick<DashboardLink, 'title' | 'url' | 'targetBlank'>>[];
  transformations?: AnyPanel['transformations'];
}

type Panel =
  | Kind<'stat', StatOptions, never>
  | Kind<'timeseries', SeriesOptions, SeriesFieldConfig>
  | Kind<'state-timeline', StateOptions, StateFieldConfig>
  | Kind<'heatmap', HeatmapOptions, HeatmapFieldConfig>
  | Kind<'table', TableOptions, TableFieldOptions>;

interface Parts {
  uid: string;
  title: string;
  description: string;
  panels: (Panel | RowPanel)[];
  annotations: { list: (AnnotationQuery<Query> & { titleFormat?: string; textFormat?: string })[] };
}

export type File = Plain<Omit<Dashboard, keyof Parts> & Parts>;
